variable "name" {
  description = "Begins the name of everything that is made"
  type        = string
  default     = "iotda-cert"
}
variable "zip" {
  description = "dist/iotda-cert-lambda.zip, of npm run package"
  type        = string
}
variable "settings_file" {
  description = "Settings with references awssm:NAME, at most 3500 bytes; store s3 without a bucket"
  type        = string
}
variable "policy_file" {
  description = "What `iotda-cert permissions --cloud aws --config SETTINGS` prints"
  type        = string
}
variable "alarm_email" {
  description = "Who hears of alarms and of the watchdog, beside the other subscribers of the topic"
  type        = string
  default     = ""
}
variable "alarm_days_left" {
  description = "Days left below which there is an alarm"
  type        = number
  default     = 14
}
