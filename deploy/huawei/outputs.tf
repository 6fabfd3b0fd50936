output "function_urn" {
  description = "To invoke it by hand; of a divided fleet, the first one."
  value       = huaweicloud_fgs_function.rotate[0].urn
}

output "function_urns" {
  description = "Of each shard."
  value       = huaweicloud_fgs_function.rotate[*].urn
}

output "alarm_topic_urn" {
  description = "Subscribe whoever should hear of failures."
  value       = huaweicloud_smn_topic.alarms.topic_urn
}
