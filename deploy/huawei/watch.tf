# The watchdog: a function of its own, which looks at the device ports from outside. It has an agency and an
# environment of its own, and is made where watch_file says what to watch.

locals {
  watches = var.watch_file == "" ? 0 : 1

  watch_settings   = jsondecode(var.watch_file == "" ? "{}" : file(var.watch_file))
  watch_lacks_file = "${trimsuffix(var.watch_zip_file, ".zip")}.lacks.json"
  watch_missing = [
    for it in jsondecode(fileexists(local.watch_lacks_file) ? file(local.watch_lacks_file) : "[]") : it.name
    if contains([for entry in try(local.watch_settings[it.section], []) : try(entry.type, "")], it.type)
  ]

  watch_policy = local.watches == 0 ? "" : jsonencode(jsondecode(file(var.watch_policy_file)))
  # One that reads no state and tells by a webhook needs nothing, and a policy without a statement is none.
  watch_agencies = length(try(jsondecode(local.watch_policy).Statement, [])) == 0 ? 0 : 1
}

resource "huaweicloud_identity_policy" "watch" {
  count = local.watch_agencies

  name            = "${var.name}-watch"
  description     = "What the watchdog of iotda-cert does: reads of its state, and alerts."
  policy_document = local.watch_policy
}

resource "huaweicloud_identity_trust_agency" "watch" {
  count = local.watch_agencies

  name         = "${var.name}-watch"
  description  = "Permissions of the function ${var.name}-watch."
  policy_names = [huaweicloud_identity_policy.watch[0].name]

  trust_policy = jsonencode({
    Version = "5.0"
    Statement = [{
      Effect    = "Allow"
      Action    = ["sts:agencies:assume"]
      Principal = { Service = ["service.FunctionGraph"] }
    }]
  })
}

resource "huaweicloud_fgs_function" "watch" {
  count = local.watches

  name                  = "${var.name}-watch"
  app                   = "default"
  description           = "Looks at the device ports of iotda-cert, and at its last run."
  functiongraph_version = "v2"
  agency                = one(huaweicloud_identity_trust_agency.watch[*].name)

  runtime          = var.runtime
  handler          = "index.handler"
  timeout          = 120
  memory_size      = 256
  max_instance_num = "1"

  code_type     = "zip"
  code_filename = basename(var.watch_zip_file)
  func_code     = filebase64(var.watch_zip_file)

  user_data = jsonencode({
    IOTDA_CERT_WATCH       = jsonencode(local.watch_settings)
    HUAWEICLOUD_SDK_REGION = var.region
  })
  encrypted_user_data = jsonencode(var.watch_secrets)

  lifecycle {
    precondition {
      condition     = length(local.watch_missing) == 0
      error_message = "The zip is without ${join(", ", local.watch_missing)}, which watch_file wants: IOTDA_CERT_WATCH_SETTINGS=FILE before npm run package."
    }
  }
}

resource "huaweicloud_fgs_function_trigger" "watch" {
  count = local.watches

  function_urn = huaweicloud_fgs_function.watch[0].urn
  type         = "TIMER"
  status       = "ACTIVE"

  event_data = jsonencode({
    name          = "${var.name}-watch"
    schedule_type = "Cron"
    schedule      = var.watch_schedule
    user_event    = ""
  })

  depends_on = [huaweicloud_fgs_async_invoke_configuration.watch]
}

# It fails when it cannot look, or cannot tell.
resource "huaweicloud_fgs_async_invoke_configuration" "watch" {
  count = local.watches

  function_urn                   = huaweicloud_fgs_function.watch[0].urn
  max_async_retry_attempts       = 0
  max_async_event_age_in_seconds = 3600

  on_failure {
    destination = "SMN"
    param       = jsonencode({ topic_urn = huaweicloud_smn_topic.alarms.topic_urn })
  }
}
