# The watchdog: it looks at the device ports from outside, and of the rotator it reads the document of the last run.

locals {
  settings = jsondecode(file(var.settings_file))
  store    = { for key, value in local.settings.store : key => value if !startswith(key, "sealKey") }
  last_run = "${try(local.store.prefix, "iotda-cert/")}runs/last"
  watched = [
    for it in local.settings.targets : {
      for key, value in {
        name      = it.name
        host      = try(it.probe.host, it.domain)
        sni       = it.domain
        port      = try(it.probe.port, null)
        addresses = try(it.probe.addresses, null)
        roots     = try(it.trustedRoots, null)
        # It connects no device, and needs no key of one.
        profiles = try([for one in it.profiles : try({ for k, v in one : k => v if k != "canary" }, one)], null)
      } : key => value if value != null
    } if try(it.probe.mode, "") != "off"
  ]
}

resource "aws_iam_role" "watch" {
  name               = "${var.name}-watch"
  assume_role_policy = data.aws_iam_policy_document.assume["lambda"].json
}
resource "aws_iam_role_policy" "watch" {
  name = "own"
  role = aws_iam_role.watch.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "LastRun"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${aws_s3_bucket.state.arn}/${local.last_run}"]
      },
      {
        Sid       = "LastRunAbsent"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = [aws_s3_bucket.state.arn]
        Condition = { StringLike = { "s3:prefix" = [local.last_run] } }
      },
      {
        Sid      = "Record"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        Resource = ["${aws_s3_bucket.watch.arn}/*"]
      },
      { Sid = "RecordAbsent", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [aws_s3_bucket.watch.arn] },
      { Sid = "Alerts", Effect = "Allow", Action = ["sns:Publish"], Resource = [aws_sns_topic.alarms.arn] },
    ]
  })
}

resource "aws_lambda_function" "watch" {
  function_name    = "${var.name}-watch"
  filename         = var.zip
  source_code_hash = filebase64sha256(var.zip)
  handler          = "watch.handler"
  runtime          = "nodejs24.x"
  architectures    = ["arm64"]
  memory_size      = 192
  timeout          = 120
  role             = aws_iam_role.watch.arn
  environment {
    variables = {
      IOTDA_CERT_WATCH = jsonencode({
        version   = 1
        targets   = local.watched
        notifiers = [{ type = "sns", name = "alarms", topicArn = aws_sns_topic.alarms.arn }]
        store     = { type = "s3", bucket = aws_s3_bucket.watch.bucket }
        rotator   = { store = merge(local.store, { bucket = aws_s3_bucket.state.bucket }) }
      })
    }
  }
  depends_on = [aws_cloudwatch_log_group.log, aws_iam_role_policy.watch, aws_iam_role_policy.log]
}
