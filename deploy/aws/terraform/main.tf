# iotda-cert on AWS Lambda, for those who deploy by Terraform: what serverless.yml makes, without a dashboard.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0"
    }
  }
}

data "aws_iam_policy_document" "assume" {
  for_each = toset(["lambda", "scheduler"])
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["${each.key}.amazonaws.com"]
    }
  }
}

resource "aws_cloudwatch_log_group" "log" {
  for_each          = { rotate = var.name, watch = "${var.name}-watch" }
  name              = "/aws/lambda/${each.value}"
  retention_in_days = 30
}

# --- the rotator ------------------------------------------------------------------------------------------------

resource "aws_iam_role" "rotate" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.assume["lambda"].json
}
resource "aws_iam_role_policy" "settings" {
  name   = "settings"
  role   = aws_iam_role.rotate.id
  policy = file(var.policy_file)
}
resource "aws_iam_role_policy" "log" {
  for_each = { rotate = aws_iam_role.rotate.id, watch = aws_iam_role.watch.id }
  name     = "log"
  role     = each.value
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.log[each.key].arn}:*"
    }]
  })
}

resource "aws_lambda_function" "rotate" {
  function_name    = var.name
  filename         = var.zip
  source_code_hash = filebase64sha256(var.zip)
  handler          = "lambda.handler"
  runtime          = "nodejs24.x"
  architectures    = ["arm64"]
  memory_size      = 256
  timeout          = 900
  role             = aws_iam_role.rotate.arn
  environment {
    variables = {
      IOTDA_CERT_CONFIG       = file(var.settings_file)
      IOTDA_CERT_STATE_BUCKET = aws_s3_bucket.state.bucket
    }
  }
  depends_on = [aws_cloudwatch_log_group.log, aws_iam_role_policy.settings, aws_iam_role_policy.log]
}

locals {
  functions = { rotate = aws_lambda_function.rotate, watch = aws_lambda_function.watch }
}
# A rotation goes on from its state at the next tick.
resource "aws_lambda_function_event_invoke_config" "once" {
  for_each                     = { rotate = 900, watch = 3600 }
  function_name                = local.functions[each.key].function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = each.value
}

# --- when -------------------------------------------------------------------------------------------------------

resource "aws_iam_role" "schedule" {
  name               = "${var.name}-schedule"
  assume_role_policy = data.aws_iam_policy_document.assume["scheduler"].json
}
resource "aws_iam_role_policy" "invoke" {
  name = "invoke"
  role = aws_iam_role.schedule.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = [aws_lambda_function.rotate.arn, aws_lambda_function.watch.arn]
      },
      { Effect = "Allow", Action = "sqs:SendMessage", Resource = aws_sqs_queue.dead_letters.arn },
    ]
  })
}
# What the scheduler could not deliver.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_scheduler_schedule" "rotate" {
  name                = var.name
  schedule_expression = "rate(30 minutes)"
  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 10
  }
  target {
    arn      = aws_lambda_function.rotate.arn
    role_arn = aws_iam_role.schedule.arn
    input    = jsonencode({ source = "aws.scheduler" })
    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 900
    }
    dead_letter_config { arn = aws_sqs_queue.dead_letters.arn }
  }
}

resource "aws_scheduler_schedule" "watch" {
  name                = "${var.name}-watch"
  schedule_expression = "rate(6 hours)"
  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 30
  }
  target {
    arn      = aws_lambda_function.watch.arn
    role_arn = aws_iam_role.schedule.arn
    input    = jsonencode({ source = "aws.scheduler" })
    retry_policy {
      maximum_retry_attempts       = 2
      maximum_event_age_in_seconds = 3600
    }
    dead_letter_config { arn = aws_sqs_queue.dead_letters.arn }
  }
}

output "state_bucket" {
  description = "For IOTDA_CERT_STATE_BUCKET of the command line"
  value       = aws_s3_bucket.state.bucket
}
output "alarm_topic_arn" {
  description = "Subscribe whoever should hear of alarms"
  value       = aws_sns_topic.alarms.arn
}
