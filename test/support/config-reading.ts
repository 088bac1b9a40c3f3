/**
 * Reads configurations given as text, as if from `f.toml`, and answers with one side of the result.
 */

import type { Config } from '../../src/daemon/config/config.js'
import { readConfig, type ConfigResult } from '../../src/daemon/config/read.js'

const LAYOUT = {
  stateDir: '/srv/state',
  vmmSocket: '/srv/vmm/pasid.sock',
  adminSocket: '/srv/admin/pasid.sock',
  homes: ['/srv'],
}

export function read(text: string): ConfigResult {
  return readConfig({ text, file: 'f.toml', layout: LAYOUT })
}

/** Of a configuration that must be right. */
export function configOf(text: string): Config {
  const result = read(text)
  if (!result.ok) throw new Error(result.problems.join('\n'))
  return result.config
}

export function warningsOf(text: string): readonly string[] {
  const result = read(text)
  if (!result.ok) throw new Error(result.problems.join('\n'))
  return result.warnings
}

/** Empty: it is right. */
export function problemsOf(text: string): readonly string[] {
  const result = read(text)
  return result.ok ? [] : result.problems
}
