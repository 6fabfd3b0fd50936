variable "region" {
  description = "Region of the function, e.g. cn-north-4."
  type        = string
}

variable "name" {
  description = "Name of the function, its agency and its policy."
  type        = string
  default     = "iotda-cert"
}

variable "settings_file" {
  description = "Settings file. Its secrets are references: env:NAME for a value of `secrets`, or csms:NAME."
  type        = string
}

variable "settings_location" {
  description = "Where the function finds its settings instead, e.g. csms:iotda-cert-settings, when they are too long for an environment (4096 characters in all). Empty: they are taken along."
  type        = string
  default     = ""
}

variable "secrets" {
  description = "Values behind env:NAME in the settings, e.g. { SEAL_KEY = \"...\" }. Kept encrypted in the function, and in the state of Terraform: protect that."
  type        = map(string)
  default     = {}
  sensitive   = true
}

variable "policy_file" {
  description = "What the function may do, and to what: what `iotda-cert permissions --cloud huawei --config settings.json` printed."
  type        = string
}

variable "zip_file" {
  description = "What `npm run package` made."
  type        = string
  default     = "../../dist/iotda-cert-functiongraph.zip"
}

variable "runtime" {
  description = "Runtime of the function; Node.js 20 or newer."
  type        = string
  default     = "Node.js20.15"
}

variable "shards" {
  description = "Into how many functions the fleet is divided: schedule.shards of the settings (docs/fleet.md)."
  type        = number
  default     = 1

  validation {
    condition     = var.shards >= 1 && var.shards <= 50 && floor(var.shards) == var.shards
    error_message = "shards must be a whole number from 1 to 50."
  }
}

variable "memory_mb" {
  description = "Memory of the function in MB."
  type        = number
  default     = 256
}

variable "schedule" {
  description = "When it runs: six fields of cron, with a time zone, since the default is the region's own."
  type        = string
  default     = "CRON_TZ=Etc/UTC 0 5,35 * * * ?"

  validation {
    condition     = startswith(var.schedule, "CRON_TZ=")
    error_message = "The schedule must begin with CRON_TZ=Area/City."
  }
}

variable "alarm_emails" {
  description = "Addresses that hear of failed invocations; each has to confirm once."
  type        = list(string)
  default     = []
}

# --- the watchdog ------------------------------------------------------------------------------------------------

variable "watch_file" {
  description = "What the watchdog is told (docs/alerts-and-metrics.md); with it, a second function is made. Empty: none."
  type        = string
  default     = ""
}

variable "watch_secrets" {
  description = "Values behind env:NAME in watch_file, as `secrets` for the settings. Give it other ones than the rotator has."
  type        = map(string)
  default     = {}
  sensitive   = true
}

variable "watch_policy_file" {
  description = "What the watchdog may do: what `iotda-cert permissions --cloud huawei --watch --config watch.json` printed. Needed with watch_file."
  type        = string
  default     = ""
}

variable "watch_zip_file" {
  description = "The watchdog, as `npm run package` made it."
  type        = string
  default     = "../../dist/iotda-cert-functiongraph-watch.zip"
}

variable "watch_schedule" {
  description = "When the watchdog looks: six fields of cron, with a time zone."
  type        = string
  default     = "CRON_TZ=Etc/UTC 0 20 0,6,12,18 * * ?"

  validation {
    condition     = startswith(var.watch_schedule, "CRON_TZ=")
    error_message = "The schedule must begin with CRON_TZ=Area/City."
  }
}
