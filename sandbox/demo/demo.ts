import { parseArgs } from 'node:util'
import { badRoot } from './bad-root.ts'
import { caDown } from './ca-down.ts'
import { fullSlots } from './full-slots.ts'
import { renewal } from './renewal.ts'
import { ring } from './ring.ts'
import { type Stage, type Story, withStage } from './stage.ts'

/**
 * `npm start`: the main job against the sandbox, or with `--story NAME` what happens when something goes wrong. With
 * `--keep` the sandbox stays and the settings file is printed. Exit 0: it went as told; 1: it did not; 2: usage.
 */

interface Play {
  readonly tells: string
  readonly play: Story
}

const STORIES: Readonly<Record<string, Play>> = {
  renewal: { tells: 'a certificate is renewed while a device is connected (without --story)', play: renewal },
  'bad-root': { tells: 'devices refuse the new certificate, and the old one comes back', play: badRoot },
  'full-slots': { tells: 'both slots are used, one by somebody else', play: fullSlots },
  'ca-down': { tells: 'the CA does not answer', play: caDown },
  ring: { tells: 'what is new to devices reaches one plant first', play: ring },
}

const HELP = `npm start                       the main job: a certificate is renewed
npm start -- --story NAME       another story
npm start -- --keep             the sandbox stays, to play with

Stories:
${Object.entries(STORIES)
  .map(([name, { tells }]) => `  ${name.padEnd(12)}${tells}`)
  .join('\n')}

The page of what happened is in dist/demo/, until the next build.
`

interface Flags {
  readonly story: string
  readonly keep: boolean
  readonly help: boolean
}

/** @throws Error whose message is what is wrong with them */
function flagsOf(args: readonly string[]): Flags {
  const { values } = parseArgs({
    args: [...args],
    options: {
      story: { type: 'string', default: 'renewal' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (!Object.hasOwn(STORIES, values.story)) throw new Error(`There is no story "${values.story}".`)
  return values
}

async function main(args: readonly string[]): Promise<number> {
  let flags: Flags
  try {
    flags = flagsOf(args)
  } catch (error) {
    console.error(`${(error as Error).message.replace(/\. To .*/, '.')}\n\n${HELP}`)
    return 2
  }
  if (flags.help) {
    console.log(HELP)
    return 0
  }
  console.log('Starting the sandbox: IoTDA, device port with an MQTT broker, ACME CA, DNS ...')
  return (await withStage(stage => tell(stage, flags))) ? 0 : 1
}

async function tell(stage: Stage, { story, keep }: Flags): Promise<boolean> {
  const wentAsTold = await STORIES[story]?.play(stage)
  const page = await stage.page(story)
  stage.say(`\nThe page of what happened: ${page ?? 'could not be written'}`)
  stage.say('Now with your own domain: npx iotda-cert init')
  if (keep) await stay(stage)
  return wentAsTold === true && page !== null
}

async function stay({ say, settingsFile, sandbox }: Stage): Promise<void> {
  say(`\nThe sandbox stays. Settings: ${settingsFile}
  node dist/cli.mjs status --config ${settingsFile}
  node dist/cli.mjs plan --force --config ${settingsFile}
  node dist/cli.mjs rollback --config ${settingsFile}
Faults: POST ${sandbox.iotda.url}/_sandbox/faults {"operations":["iotda.CreateServerCertificate"],"drop":"after"}
Ctrl-C ends it.`)
  process.removeAllListeners('SIGINT')
  await new Promise(resolve => process.once('SIGINT', resolve))
}

process.exit(await main(process.argv.slice(2)))
