"""
Drives Huawei's own SDK: one JSON object a line in, one a line out.

In: service, version, client, endpoint, region, project, keys, derived, operation, request. A model is an object with
its class under "$". Out: status, body (as the SDK's model has it), unknown (what the answer has and the model has
not), or error (status, code, message).
"""

import importlib
import json
import sys

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkcore.region.region import Region


def built(module, value):
    if isinstance(value, list):
        return [built(module, item) for item in value]
    if not isinstance(value, dict):
        return value
    fields = {name: built(module, inner) for name, inner in value.items() if name != "$"}
    return getattr(module, value["$"])(**fields) if "$" in value else fields


def unknown(raw, known, path=""):
    if isinstance(raw, list) and isinstance(known, list):
        return [it for one, other in zip(raw, known) for it in unknown(one, other, path + "[]")]
    if not isinstance(raw, dict) or not isinstance(known, dict):
        return []
    # Python has `self` for itself, so the SDK calls that one `_self`.
    names = {name: name if name in known else f"_{name}" for name in raw}
    return [
        it
        for name, inner in raw.items()
        for it in (
            unknown(inner, known[names[name]], f"{path}.{name}") if names[name] in known else [f"{path}.{name}"]
        )
    ]


def client_of(given, module):
    credentials = BasicCredentials(given["accessKey"], given["secretKey"], given["project"])
    if given.get("securityToken"):
        credentials.with_security_token(given["securityToken"])
    if given["derived"]:
        credentials.with_derived_predicate(BasicCredentials.get_default_derived_predicate())
    builder = getattr(module, given["client"]).new_builder().with_credentials(credentials)
    return builder.with_region(Region(id=given["region"], endpoint=given["endpoint"])).build()


def answered(given):
    module = importlib.import_module(f"huaweicloudsdk{given['service']}.{given['version']}")
    client = client_of(given, module)
    try:
        response = getattr(client, given["operation"])(built(module, given["request"]))
    except ServiceResponseException as error:
        said = {"status": error.status_code, "code": error.error_code, "message": error.error_msg}
        return {"error": said}
    raw = response.raw_content
    body = response.to_dict()
    parsed = json.loads(raw) if raw else None
    strange = unknown(parsed, body.get("body") if isinstance(parsed, list) else body)
    return {"status": response.status_code, "body": body, "unknown": strange}


for line in sys.stdin:
    print(json.dumps(answered(json.loads(line)), default=str), flush=True)
