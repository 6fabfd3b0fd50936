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

variable "actions" {
  description = "Actions that the function may do; what `iotda-cert permissions --cloud huawei` prints for other settings."
  type        = list(string)
  default = [
    "iotda:domainconfiguration:queryList",
    "iotda:domainconfiguration:query",
    "iotda:domainconfiguration:update",
    "iotda:servercertificate:queryList",
    "iotda:servercertificate:query",
    "iotda:servercertificate:create",
    "iotda:servercertificate:delete",
    "dns:zone:list",
    "dns:recordset:list",
    "dns:recordset:create",
    "dns:recordset:update",
    "dns:recordset:delete",
    "csms:secret:getVersion",
    "csms:secret:getStage",
    "csms:secret:create",
    "csms:secret:createVersion",
    "csms:secret:delete",
    "kms:cmk:decryptDataKey",
    "kms:cmk:createDataKey",
    "smn:topic:publish",
  ]
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
