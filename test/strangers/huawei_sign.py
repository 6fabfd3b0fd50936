"""Signs requests with Huawei's own SDK: one JSON object a line in, the Authorization header a line out."""

import json
import sys

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import DerivationAKSKSigner, Signer

for line in sys.stdin:
    given = json.loads(line)
    credentials = BasicCredentials(given["accessKey"], given["secretKey"], "p")
    request = SdkRequest(
        method=given["method"],
        schema="https",
        host=given["host"],
        resource_path=given["path"],
        query_params=[tuple(pair) for pair in given["query"]],
        header_params=given["headers"],
        body=given["body"],
    )
    if given["derived"]:
        signed = DerivationAKSKSigner(credentials).sign(request, given["service"], given["region"])
    else:
        signed = Signer(credentials).sign(request)
    print(signed.header_params["Authorization"], flush=True)
