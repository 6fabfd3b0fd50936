import type { Command } from 'commander'

/** For each command, by its words, what one types; the programs of `deploy` have theirs. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  'iotda-cert': [
    'iotda-cert init',
    'iotda-cert doctor --config settings.json',
    'iotda-cert rotate --config settings.json',
  ],
  plan: [
    'iotda-cert plan --config settings.json',
    'iotda-cert plan --config settings.json --target factory-1 --force',
  ],
  rotate: [
    'iotda-cert rotate --config settings.json',
    'iotda-cert rotate --config settings.json --target factory-1 --force --until preflight',
  ],
  status: [
    'iotda-cert status --config settings.json',
    'iotda-cert status --config settings.json --watch 1m',
    'iotda-cert status --config settings.json --html status.html',
  ],
  rollback: ['iotda-cert rollback --config settings.json --target factory-1'],
  hold: ['iotda-cert hold --config settings.json --target factory-1'],
  resume: ['iotda-cert resume --config settings.json --target factory-1'],
  revoke: ['iotda-cert revoke --config settings.json --target factory-1 --reason superseded'],
  probe: [
    'iotda-cert probe --config settings.json',
    'iotda-cert probe iot.example.com:8883 --profile esp-idf',
  ],
  account: ['iotda-cert account rollover --config settings.json --source letsencrypt'],
  'account rollover': ['iotda-cert account rollover --config settings.json --source letsencrypt'],
  doctor: [
    'iotda-cert doctor --config settings.json',
    'iotda-cert doctor --config settings.json --write --notify',
  ],
  drill: ['iotda-cert drill recall --config settings.json'],
  'drill recall': [
    'iotda-cert drill recall --config settings.json',
    'iotda-cert drill recall --config settings.json --within 5d',
  ],
  permissions: ['iotda-cert permissions --cloud aws --config settings.json > policy.json'],
  rollout: [
    'iotda-cert rollout --config settings.json',
    'iotda-cert rollout resume KIND --config settings.json --why "clock mended"',
  ],
  'rollout show': ['iotda-cert rollout show --config settings.json'],
  'rollout resume': ['iotda-cert rollout resume KIND --config settings.json --why "clock mended"'],
  'rollout approve': ['iotda-cert rollout approve KIND --config settings.json --ring rest'],
  watch: ['iotda-cert watch --config watch.json'],
  init: [
    'iotda-cert init',
    'iotda-cert init --from settings.json',
    'iotda-cert init --domain iot.example.com --endpoint https://NAME --region cn-north-4 --dns cloudflare --set dns.apiToken=env:CLOUDFLARE_API_TOKEN --email ops@example.com --agree-terms',
  ],
  deploy: ['iotda-cert deploy aws --settings settings.json --region eu-central-1 --dry-run'],
  completion: ['iotda-cert completion bash > ~/.local/share/bash-completion/completions/iotda-cert'],
}

/** Adds to the help of each command what one types. */
export function withExamples(command: Command, words: readonly string[] = []): void {
  const examples = EXAMPLES[words.length === 0 ? 'iotda-cert' : words.join(' ')]
  if (examples) command.addHelpText('after', `\nExample:\n${examples.map(it => `  ${it}`).join('\n')}`)
  for (const own of command.commands) withExamples(own, [...words, own.name()])
}
