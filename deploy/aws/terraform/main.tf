# iotda-cert on AWS Lambda, for those who deploy by Terraform: the function, its role, bucket, schedule, and one alarm.
# serverless.yml has more (the watchdog, a dashboard, an alarm for each state).

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60"
    }
  }
}

variable "name" {
  type    = string
  default = "iotda-cert"
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
variable "alarm_topic_arns" {
  type    = list(string)
  default = []
}

data "aws_caller_identity" "here" {}
data "aws_region" "here" {}

resource "aws_s3_bucket" "state" {
  bucket = "${var.name}-${data.aws_caller_identity.here.account_id}-${data.aws_region.here.name}"
  lifecycle { prevent_destroy = true }
}
resource "aws_s3_bucket_public_access_block" "state" {
  bucket                  = aws_s3_bucket.state.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
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

resource "aws_iam_role" "function" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.assume["lambda"].json
}
resource "aws_iam_role_policy" "settings" {
  name   = "settings"
  role   = aws_iam_role.function.id
  policy = file(var.policy_file)
}
resource "aws_iam_role_policy" "log" {
  name = "log"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${aws_cloudwatch_log_group.log.arn}:*"
    }]
  })
}
resource "aws_cloudwatch_log_group" "log" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = 30
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
  role             = aws_iam_role.function.arn
  environment {
    variables = {
      IOTDA_CERT_CONFIG       = file(var.settings_file)
      IOTDA_CERT_STATE_BUCKET = aws_s3_bucket.state.bucket
    }
  }
  depends_on = [aws_cloudwatch_log_group.log, aws_iam_role_policy.settings, aws_iam_role_policy.log]
}
# A rotation goes on from its state at the next tick.
resource "aws_lambda_function_event_invoke_config" "once" {
  function_name                = aws_lambda_function.rotate.function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 900
}

resource "aws_iam_role" "schedule" {
  name               = "${var.name}-schedule"
  assume_role_policy = data.aws_iam_policy_document.assume["scheduler"].json
}
resource "aws_iam_role_policy" "invoke" {
  name = "invoke"
  role = aws_iam_role.schedule.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "lambda:InvokeFunction", Resource = aws_lambda_function.rotate.arn }]
  })
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
  }
}

resource "aws_cloudwatch_metric_alarm" "last_success" {
  alarm_name          = "${var.name}-last-success"
  alarm_description   = "Not all targets of ${var.name} were well for a day."
  namespace           = "IotdaCert"
  metric_name         = "LastSuccessAge"
  dimensions          = { FunctionName = var.name }
  statistic           = "Maximum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 86400
  # No run says nothing of itself: that is an alarm, too.
  treat_missing_data = "breaching"
  alarm_actions      = var.alarm_topic_arns
  ok_actions         = var.alarm_topic_arns
}

output "state_bucket" {
  value = aws_s3_bucket.state.bucket
}
