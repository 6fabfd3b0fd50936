# Each alarm is on a state: it begins once and ends once.

locals {
  # Of the runtime (AWS/Lambda) or of what the function prints (IotdaCert); `quiet`: no value is an alarm as well.
  alarms = {
    errors = {
      function = "rotate", metric = "Errors", statistic = "Sum", over = 0, period = 3600, periods = 3
      says     = "fails; the function's log says why, and what to do"
    }
    silence = {
      function = "rotate", metric = "Invocations", statistic = "Sum", under = 1, period = 86400, quiet = true
      says     = "has not run for a day"
    }
    throttles = {
      function = "rotate", metric = "Throttles", statistic = "Sum", over = 0, period = 3600, periods = 3
      says     = "was not started; the account has too little concurrency"
    }
    watch-errors = {
      function = "watch", metric = "Errors", statistic = "Sum", over = 0, period = 21600
      says     = "has a watchdog that cannot look, or cannot tell; its log says why"
    }
    watch-silence = {
      function = "watch", metric = "Invocations", statistic = "Sum", under = 1, period = 86400, quiet = true
      says     = "has a watchdog that has not looked for a day"
    }
    days-left-served = {
      own  = true, metric = "DaysLeftServed", statistic = "Minimum", under = var.alarm_days_left, period = 3600
      says = "serves a certificate that ends soon"
    }
    days-left-bound = {
      own  = true, metric = "DaysLeftBound", statistic = "Minimum", under = var.alarm_days_left, period = 3600
      says = "has a certificate bound that ends soon"
    }
    last-success = {
      own  = true, metric = "LastSuccessAge", statistic = "Maximum", over = 86400, period = 3600
      says = "was not well everywhere for a day; status says where"
    }
    obtain-failures = {
      own  = true, metric = "ObtainFailures", statistic = "Sum", over = 2, period = 86400
      says = "was refused a certificate three times in a day"
    }
    undelivered = {
      own  = true, metric = "AlertsUndelivered", statistic = "Minimum", over = 0, period = 3600, periods = 6, all = true
      says = "could not deliver alerts for six hours; its log says why"
    }
  }
}

resource "aws_sns_topic" "alarms" {
  name         = "${var.name}-alarms"
  display_name = var.name
}
resource "aws_sns_topic_subscription" "email" {
  count     = var.alarm_email == "" ? 0 : 1
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_cloudwatch_metric_alarm" "alarm" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${var.name} ${each.value.says}."
  namespace           = try(each.value.own, false) ? "IotdaCert" : "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = local.functions[try(each.value.function, "rotate")].function_name }
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = try(each.value.periods, 1)
  datapoints_to_alarm = try(each.value.all, false) ? each.value.periods : 1
  comparison_operator = can(each.value.over) ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = try(each.value.over, each.value.under)
  treat_missing_data  = try(each.value.quiet, false) ? "breaching" : "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "${var.name}-dead-letters"
  alarm_description   = "The scheduler could not start ${var.name}: the message in the queue says why. Delete it afterwards."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters.name }
  statistic           = "Maximum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
