/**
 * Where the daemon keeps its things unless configured otherwise: below `var/` of the package for an
 * ordinary user, in /run and /var/lib as a system service.
 */

import path from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Layout {
  readonly stateDir: string
  readonly vmmSocket: string
  readonly adminSocket: string
  /** Made at start with everything above them, when a default path lies in them. */
  readonly homes: readonly string[]
}

export const SYSTEM_CONFIG = '/etc/pasidd/pasidd.toml'

/** The folder with package.json: this file is in src/daemon/ or dist/daemon/ below it. */
export function packageRoot(): string {
  return path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
}

export function userLayout(root: string = packageRoot()): Layout {
  const home = path.join(root, 'var')
  return {
    stateDir: path.join(home, 'state'),
    vmmSocket: path.join(home, 'vmm', 'pasid.sock'),
    adminSocket: path.join(home, 'admin', 'pasid.sock'),
    homes: [home],
  }
}

export function systemLayout(): Layout {
  return {
    stateDir: '/var/lib/pasidd',
    vmmSocket: '/run/pasidd/vmm/pasid.sock',
    adminSocket: '/run/pasidd/admin/pasid.sock',
    homes: ['/run/pasidd'],
  }
}
