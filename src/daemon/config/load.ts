/** Finds the configuration file, reads it, and has it checked; for every command of `pasidd`. */

import fs from 'node:fs'
import { systemLayout, SYSTEM_CONFIG, userLayout } from '../layout.js'
import { readConfig, type ConfigResult } from './read.js'

export interface ConfigOptions {
  /** From the command line. */
  readonly config?: string | undefined
  /** As a system service: other default paths, and a file in /etc. */
  readonly system?: boolean | undefined
}

/** A configuration file of a few thousand tenants is far smaller. */
const CONFIG_BYTES_MAX = 16 * 1024 * 1024

/** The file to read; `must` when somebody named it, so that it has to be there. */
function fileOf(options: ConfigOptions, environment: NodeJS.ProcessEnv) {
  const named = options.config ?? environment['PASIDD_CONFIG']
  if (named !== undefined && named !== '') return { file: named, must: true }
  return { file: options.system === true ? SYSTEM_CONFIG : undefined, must: false }
}

function readText(file: string): string {
  const { size } = fs.statSync(file)
  if (size > CONFIG_BYTES_MAX) throw new Error(`it has ${size} bytes, at most ${CONFIG_BYTES_MAX}`)
  return fs.readFileSync(file, 'utf8')
}

export function loadConfig(
  options: ConfigOptions,
  environment: NodeJS.ProcessEnv = process.env,
): ConfigResult {
  const layout = options.system === true ? systemLayout() : userLayout()
  const { file, must } = fileOf(options, environment)
  if (file === undefined) return readConfig({ text: '', file, layout })
  try {
    return readConfig({ text: readText(file), file, layout })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && !must) return readConfig({ text: '', file: undefined, layout })
    const source = options.config === undefined ? ' (from PASIDD_CONFIG)' : ''
    const problem = code === 'ENOENT' ? 'there is no such file' : message
    return { ok: false, problems: [`${file}${source}: cannot be read: ${problem}`] }
  }
}
