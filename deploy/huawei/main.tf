# iotda-cert on FunctionGraph: the function, what it may do, when it runs, and who hears of a failure.

locals {
  settings = jsondecode(file(var.settings_file))

  # Packages that drivers of the settings work by, and that the zip was made without.
  lacks_file = "${trimsuffix(var.zip_file, ".zip")}.lacks.json"
  missing = [
    for it in jsondecode(fileexists(local.lacks_file) ? file(local.lacks_file) : "[]") : it.name
    if contains([for entry in try(local.settings[it.section], []) : try(entry.type, "")], it.type)
  ]

  policy = jsonencode(jsondecode(file(var.policy_file)))

  # Of a fleet that is divided, each function has its turn at another minute.
  shards  = [for i in range(var.shards) : "${i + 1}/${var.shards}"]
  names   = [for i in range(var.shards) : var.shards == 1 ? var.name : "${var.name}-${i + 1}"]
  minutes = [for i in range(var.shards) : (5 + floor(i * 30 / var.shards)) % 30]
  turns   = [for it in local.minutes : format(" 0 %d,%d ", it, it + 30)]
}

# --- what it may do ----------------------------------------------------------------------------------------------

# What it may do changes in place, as a new version of the policy; its name cannot be changed.
resource "huaweicloud_identity_policy" "function" {
  name            = var.name
  description     = "What iotda-cert does: certificates and their binding, DNS records of challenges, its state, alerts."
  policy_document = local.policy
}

resource "huaweicloud_identity_trust_agency" "function" {
  name         = var.name
  description  = "Permissions of the function ${var.name}."
  policy_names = [huaweicloud_identity_policy.function.name]

  trust_policy = jsonencode({
    Version = "5.0"
    Statement = [{
      Effect    = "Allow"
      Action    = ["sts:agencies:assume"]
      Principal = { Service = ["service.FunctionGraph"] }
    }]
  })
}

# --- the function ------------------------------------------------------------------------------------------------

resource "huaweicloud_fgs_function" "rotate" {
  count = var.shards

  name                  = local.names[count.index]
  app                   = "default"
  description           = "Keeps the server certificates of IoTDA custom domains fresh."
  functiongraph_version = "v2"
  agency                = huaweicloud_identity_trust_agency.function.name

  runtime             = var.runtime
  handler             = "index.handler"
  initializer_handler = "index.initializer"
  initializer_timeout = 60
  timeout             = 900
  memory_size         = var.memory_mb

  # One at a time: the csms store has no lock of its own.
  max_instance_num = "1"

  code_type     = "zip"
  code_filename = basename(var.zip_file)
  func_code     = filebase64(var.zip_file)

  user_data = jsonencode(merge(
    {
      IOTDA_CERT_CONFIG      = var.settings_location == "" ? jsonencode(local.settings) : var.settings_location
      HUAWEICLOUD_SDK_REGION = var.region
    },
    var.shards == 1 ? {} : { IOTDA_CERT_SHARD = local.shards[count.index] },
  ))
  # Also where there is none: the provider leaves out what is null, and the service then keeps what was there.
  encrypted_user_data = jsonencode(var.secrets)

  lifecycle {
    precondition {
      condition     = length(local.missing) == 0
      error_message = "The zip is without ${join(", ", local.missing)}, which the settings want: IOTDA_CERT_SETTINGS=FILE, with these settings, before npm run package."
    }
    precondition {
      condition     = var.shards == try(local.settings.schedule.shards, 1)
      error_message = "shards is ${var.shards}, and schedule.shards in the settings is another number: they are the same."
    }
  }
}

resource "huaweicloud_fgs_function_trigger" "timer" {
  count = var.shards

  function_urn = huaweicloud_fgs_function.rotate[count.index].urn
  type         = "TIMER"
  status       = "ACTIVE"

  event_data = jsonencode({
    name          = var.name
    schedule_type = "Cron"
    schedule      = replace(var.schedule, " 0 5,35 ", local.turns[count.index])
    user_event    = ""
  })

  # It starts what is whole by then.
  depends_on = [huaweicloud_fgs_async_invoke_configuration.rotate]
}

# --- who hears of a failure --------------------------------------------------------------------------------------

resource "huaweicloud_smn_topic" "alarms" {
  name         = "${var.name}-alarms"
  display_name = "iotda-cert"
}

resource "huaweicloud_smn_subscription" "email" {
  for_each = toset(var.alarm_emails)

  topic_urn = huaweicloud_smn_topic.alarms.id
  protocol  = "email"
  endpoint  = each.value
}

# A rotation goes on from its state at the next tick. A retry of the platform would come at a bad time.
resource "huaweicloud_fgs_async_invoke_configuration" "rotate" {
  count = var.shards

  function_urn                   = huaweicloud_fgs_function.rotate[count.index].urn
  max_async_retry_attempts       = 0
  max_async_event_age_in_seconds = 900

  on_failure {
    destination = "SMN"
    param       = jsonencode({ topic_urn = huaweicloud_smn_topic.alarms.topic_urn })
  }
}
