/** The words of `pasidctl`: what each command does is in commands/. */

import { Command, CommanderError, Option } from 'commander'
import { addAudit } from './commands/audit.js'
import { addDoctor } from './commands/doctor.js'
import { addEmu } from './commands/emu.js'
import { addEnd } from './commands/end.js'
import { get, type GetOptions } from './commands/get.js'
import * as lists from './commands/lists.js'
import { addQuota } from './commands/quota.js'
import { addReclaim } from './commands/reclaim.js'
import { addRelease } from './commands/release.js'
import { check, map, status, type MapOptions } from './commands/state.js'
import { addWatch } from './commands/watch.js'
import { addWho } from './commands/who.js'
import { CliFailure, EXIT, EXIT_HELP, type ExitCode } from './exits.js'
import { doing, type Does, type Surroundings } from './perform.js'
import * as settings from './settings.js'

const TIMEOUT_DEFAULT = '10'

function rootCommand({ output, terminal }: Surroundings): Command {
  return new Command('pasidctl')
    .description(
      'Shows what pasidd knows, who holds which PASID and under what quota, and steers it.',
    )
    .configureOutput({
      writeOut: (text) => void output.write(text),
      writeErr: (text) => void terminal.messages.write(text),
    })
    .option('-s, --socket <path>', 'admin socket of the daemon (also: PASIDCTL_SOCKET)')
    .addOption(
      new Option('-o, --output <format>', 'format').choices(['table', 'json']).default('table'),
    )
    .addOption(
      new Option('-t, --timeout <seconds>', 'for one call')
        .argParser(settings.parseTimeout)
        .default(settings.parseTimeout(TIMEOUT_DEFAULT), TIMEOUT_DEFAULT),
    )
    .addHelpText('after', EXIT_HELP)
    .exitOverride()
}

function addLists(root: Command, does: Does): void {
  const listing = (name: string, text: string, run: typeof lists.list, filter?: string) => {
    const command = settings.addPaging(root.command(name).description(text))
    if (filter !== undefined) command.option('--filter <expression>', `for example ${filter}`)
    command.action(does(run))
  }
  listing('list', 'PASIDs that are not free', lists.list, `'tenant = default AND state = ACTIVE'`)
  listing('sessions', 'sessions, with their owners', lists.sessions, `'tenant = default'`)
  listing('tenants', 'tenants with their limits and use', lists.tenants)
  listing('devices', 'devices and what they can do', lists.devices)
  listing('reservations', 'numbers that nobody is given, and why', lists.reservations)
}

function addReads(root: Command, does: Does): void {
  root
    .command('get <what>')
    .description('one PASID (a number) or one session (sessions/ID)')
    .option(...settings.DEVICE_OPTION)
    .action(does((work, what: string, options: GetOptions) => get(work, what, options)))
  root
    .command('map')
    .description('a picture of the namespace')
    .option(...settings.DEVICE_OPTION)
    .action(does((work, options: MapOptions) => map(work, options)))
  root.command('status').description('how the daemon is').action(does(status))
  root
    .command('check')
    .description('compare memory, ledger and backend; changes nothing')
    .action(does(check))
}

const FAMILIES = [
  addLists,
  addReads,
  addWho,
  addRelease,
  addEnd,
  addQuota,
  addWatch,
  addAudit,
  addReclaim,
  addDoctor,
  addEmu,
] as const

/** Never throws for what a person can cause: that is said on the terminal, and is an exit code. */
export async function runProgram(
  argv: readonly string[],
  surroundings: Surroundings,
): Promise<ExitCode> {
  const ending: { code: ExitCode } = { code: EXIT.OK }
  const does = doing(surroundings, (code) => {
    ending.code = code
  })
  const root = rootCommand(surroundings)
  for (const add of FAMILIES) add(root, does)
  try {
    await root.parseAsync([...argv], { from: 'user' })
    return ending.code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.OK : EXIT.USAGE
    if (!(error instanceof CliFailure)) throw error
    surroundings.terminal.messages.write(`pasidctl: ${error.message}\n`)
    return error.exitCode
  }
}
