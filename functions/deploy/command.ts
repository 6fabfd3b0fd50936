import type { Command } from 'commander'
import { commands } from '../commands.ts'

const CLOUDS = {
  aws: 'to AWS Lambda: a CloudFormation stack with schedule, state bucket, watchdog and alarms',
  functiongraph: 'to Huawei Cloud FunctionGraph: the function, its timer and its failure notice',
} as const

/** `iotda-cert deploy`: makes the function out of what this package brings; the options are those of its programs. */
export function deployCommand(cli: Command, setExit: (code: number) => void): void {
  const group = cli.command('deploy').description('make the function in a cloud, or bring it up to date')
  for (const [cloud, description] of Object.entries(CLOUDS)) {
    group
      .command(cloud)
      .description(description)
      .argument('[options...]', `iotda-cert deploy ${cloud} --help lists them`)
      .helpOption(false)
      .allowUnknownOption()
      .exitOverride()
      .action(async (_args: readonly string[], _flags: unknown, { args }: Command) => {
        const { runProgram } = await commands.deploy()
        setExit(await runProgram(cloud, args))
      })
  }
}
