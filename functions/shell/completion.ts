import type { Command } from 'commander'
import { RotationError } from '../../lib/base/rotation-error.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

/** One command with what may stand after it. */
interface Word {
  readonly name: string
  readonly description: string
  readonly options: readonly string[]
}

const wordsOf = (cli: Command): readonly Word[] =>
  cli.commands.map(command => ({
    name: command.name(),
    description: command.description(),
    options: [
      ...command.commands.map(it => it.name()),
      ...command.options.flatMap(({ long }) => (long ? [long] : [])),
      '--help',
    ],
  }))

/** The first words of a description, without what a shell would take for its own. */
const plain = (text: string): string => text.replace(/[^\w ,.-]/g, '').slice(0, 60)

const scripts: Readonly<Record<Shell, (words: readonly Word[]) => string>> = {
  bash: words => `_iotda_cert() {
  local word=\${COMP_WORDS[COMP_CWORD]}
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "${words.map(it => it.name).join(' ')}" -- "$word")); return; fi
  case \${COMP_WORDS[1]} in
${words.map(it => `    ${it.name}) COMPREPLY=($(compgen -W "${it.options.join(' ')}" -- "$word")) ;;`).join('\n')}
  esac
}
complete -o default -F _iotda_cert iotda-cert
`,
  zsh: words => `#compdef iotda-cert
_iotda_cert() {
  if (( CURRENT == 2 )); then
    local -a commands=(${words.map(it => `'${it.name}:${plain(it.description)}'`).join(' ')})
    _describe command commands
    return
  fi
  case $words[2] in
${words.map(it => `    ${it.name}) compadd -- ${it.options.join(' ')}; _files ;;`).join('\n')}
  esac
}
compdef _iotda_cert iotda-cert
`,
  fish: words =>
    `${words
      .flatMap(it => [
        `complete -c iotda-cert -n __fish_use_subcommand -f -a ${it.name} -d '${plain(it.description)}'`,
        ...it.options.map(option =>
          option.startsWith('--')
            ? `complete -c iotda-cert -n '__fish_seen_subcommand_from ${it.name}' -l ${option.slice(2)}`
            : `complete -c iotda-cert -n '__fish_seen_subcommand_from ${it.name}' -f -a ${option}`,
        ),
      ])
      .join('\n')}\n`,
}

/** `iotda-cert completion SHELL`: prints what completes the commands and options that there are. */
export function completionCommand(cli: Command): void {
  cli
    .command('completion')
    .argument('<shell>', SHELLS.join(', '))
    .description('print the completion of a shell: eval "$(iotda-cert completion bash)"')
    .exitOverride()
    .action((given: string) => {
      const shell = SHELLS.find(it => it === given)
      if (!shell)
        throw new RotationError('usage', 'that is no shell that is known here', {
          retry: 'never',
          hint: `Shells: ${SHELLS.join(', ')}.`,
        })
      process.stdout.write(scripts[shell](wordsOf(cli)))
    })
}
