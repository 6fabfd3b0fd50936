terraform {
  required_version = ">= 1.3"
  required_providers {
    huaweicloud = {
      source  = "huaweicloud/huaweicloud"
      version = ">= 1.70.0"
    }
  }
}

# Keys come from HW_ACCESS_KEY, HW_SECRET_KEY and HW_REGION_NAME, as the provider's documentation says.
provider "huaweicloud" {
  region = var.region
}
