#!/usr/bin/env node
/** `pasidd`: the command line. Exit codes are in exits.ts and docs/CONFIGURATION.md. */

import fs from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { dumpConfig } from './config/dump.js'
import { loadConfig, type ConfigOptions } from './config/load.js'
import type { ConfigResult } from './config/read.js'
import { EXIT } from './exits.js'
import { readVersion } from './release.js'

export interface MainOptions {
  /** Without node and the script. */
  readonly argv: readonly string[]
  readonly parentWatch?: boolean
}

type Ending = { code: number }

function configured(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file (also: PASIDD_CONFIG)')
    .option('--system', 'as a system service: /etc/pasidd, /run/pasidd, /var/lib/pasidd')
}

/** The configuration, or its problems on stderr. */
function load(options: ConfigOptions): Extract<ConfigResult, { ok: true }> | undefined {
  const result = loadConfig(options)
  if (result.ok) return result
  const count = result.problems.length
  const lines = result.problems.map((problem) => `  ${problem}\n`).join('')
  process.stderr.write(`pasidd: the configuration has ${count} problem${count === 1 ? '' : 's'}:\n`)
  process.stderr.write(lines)
  return undefined
}

function validate(options: ConfigOptions, ending: Ending): void {
  const result = load(options)
  if (result === undefined) {
    ending.code = EXIT.CONFIG
    return
  }
  const { config, warnings } = result
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`)
  const counts = [
    `tenants: ${config.policy.tenants.length}`,
    `devices: ${config.backend.devices.length}`,
    `reservations: ${config.policy.reservations.length}`,
  ]
  process.stdout.write(`${config.file ?? 'defaults'}: ok (${counts.join(', ')})\n`)
}

function program(parentWatch: boolean, ending: Ending): Command {
  const root = new Command('pasidd')
    .description('Owns the PASID namespace of this host; VMMs and operators call it over gRPC.')
    .version(readVersion())
    .exitOverride()
  configured(root.command('run', { isDefault: true }))
    .description('run the daemon (the default)')
    .action(async (options: ConfigOptions) => {
      const result = load(options)
      if (result === undefined) {
        ending.code = EXIT.CONFIG
        return
      }
      // Loaded here, so that the other commands do not wait for all that the daemon is made of.
      const { runDaemon } = await import('./run.js')
      ending.code = await runDaemon({ ...result, parentWatch })
    })
  configured(root.command('validate'))
    .description('check a configuration and say everything that is wrong with it')
    .action((options: ConfigOptions) => validate(options, ending))
  const config = root.command('config').description('show the configuration')
  configured(config.command('dump'))
    .description('print the configuration in force, defaults included, as TOML')
    .action((options: ConfigOptions) => {
      const result = load(options)
      if (result === undefined) ending.code = EXIT.CONFIG
      else process.stdout.write(dumpConfig(result.config))
    })
  root
    .command('version')
    .description('print the version')
    .action(() => void process.stdout.write(`${readVersion()}\n`))
  return root
}

/** Runs one command and ends the process with its exit code. */
export async function main({ argv, parentWatch = false }: MainOptions): Promise<void> {
  const ending: Ending = { code: EXIT.OK }
  try {
    await program(parentWatch, ending).parseAsync([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    ending.code = error.exitCode === 0 ? EXIT.OK : EXIT.USAGE
  }
  // What was written to a pipe is still on its way; the daemon has nothing else left to do.
  process.exitCode = ending.code
  if (process.stdout.writableLength === 0) process.exit()
  process.stdout.end(() => process.exit())
}

const [, script] = process.argv
const isScript = script !== undefined && fs.existsSync(script)
if (isScript && fs.realpathSync(script) === fileURLToPath(import.meta.url)) {
  await main({ argv: process.argv.slice(2) })
}
