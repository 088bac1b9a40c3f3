/**
 * What of this process and host decides whom the daemon can know: looked at once, before anything
 * is opened. Each problem names its remedy; what would make a rule a lie stops the start.
 */

import fs from 'node:fs'
import type { Logger } from 'pino'
import {
  HOST_NAMESPACES,
  mayReadForeignExecutables,
  overflowIds,
  pidNamespace,
  userNamespace,
} from '../linux/ourselves.js'
import type { Config } from './config/config.js'
import { EXIT, StartFailure } from './exits.js'
import { FIELD } from './log-fields.js'
import { ownerBudget } from './owners.js'

/** A connection, and the pidfd of the process behind it. */
const FDS_PER_CONNECTION = 2
/** In our hands: iommufd, cdev, fault queue, memory, and what its thread has. */
const FDS_PER_DEVICE = 5

/** The soft limit; Node raises it to the hard one when it starts. */
function openFilesMax(): number {
  const limits = fs.readFileSync('/proc/self/limits', 'utf8')
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
  return soft === undefined ? Number.MAX_SAFE_INTEGER : Number(soft)
}

function checkExecutables({ identity }: Config): void {
  const rules = [...identity.rules, ...identity.operators]
  const rule = rules.find(({ executable }) => executable !== undefined)
  if (rule === undefined || mayReadForeignExecutables()) return
  const text =
    `an identity rule is about the executable ${rule.executable ?? ''}, which the daemon may not ` +
    'read of other users’ processes (/proc/PID/exe needs CAP_SYS_PTRACE)'
  throw new StartFailure(`${text}; give it that capability, or use a cgroup`, EXIT.CONFIG)
}

function warnOfNamespaces(log: Logger): void {
  const overflow = overflowIds()
  const say = (what: string, remedy: string) => {
    const problem = `the daemon is in ${what}: callers outside of it are refused; ${remedy}`
    log.warn({ [FIELD.PROBLEM]: problem }, 'namespace warning')
  }
  if (pidNamespace() !== HOST_NAMESPACES.pid) {
    say('a pid namespace of its own', 'run it in the host’s, in a container with hostPID')
  }
  if (userNamespace() !== HOST_NAMESPACES.user) {
    const ids = `they show as user ${overflow.uid} or group ${overflow.gid}`
    say('a user namespace of its own', `${ids}; run it in the host’s`)
  }
}

/** How many owners can be watched, with a warning when connections may use up the rest. */
function budgetOf(config: Config, log: Logger): number {
  const open = openFilesMax()
  const owners = ownerBudget(open)
  const sockets = config.vmmSockets.length + 2
  const { backend, limits } = config
  const devices = backend.kind === 'native' ? backend.devices.length * FDS_PER_DEVICE : 0
  const connections = limits.connections * sockets * FDS_PER_CONNECTION
  if (connections + devices <= open - owners) return owners
  const others = devices === 0 ? '' : `, and devices ${devices}`
  const problem =
    `limits.connections = ${limits.connections} on ${sockets} sockets may take ${connections} of ` +
    `${open} descriptors${others}; raise LimitNOFILE, or lower it`
  log.warn({ [FIELD.PROBLEM]: problem }, 'descriptors may run out')
  return owners
}

/** @throws StartFailure. Answers with how many owners' processes may be watched. */
export function checkHost(config: Config, log: Logger): number {
  checkExecutables(config)
  warnOfNamespaces(log)
  return budgetOf(config, log)
}
