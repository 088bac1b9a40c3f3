/** What there is to tell of a process that owns a session. */

import fs from 'node:fs'
import type { Process, Session } from '../client/index.js'

export function processText({ pid, uid, gid }: Process, command?: string): string {
  const name = command === undefined ? '' : ` (${command})`
  return `pid ${pid}${name}, uid ${uid}, gid ${gid}`
}

/**
 * The command name of the owner, as /proc has it now. Undefined when it cannot be told: the owner
 * has ended, its pid is another user's process by now, or is not to be seen from here.
 */
export function ownerCommand({ state, owner }: Pick<Session, 'state' | 'owner'>) {
  if (owner === null || state !== 'SESSION_STATE_OPEN') return undefined
  let text: string
  try {
    text = fs.readFileSync(`/proc/${owner.pid}/status`, 'utf8')
  } catch {
    return undefined
  }
  const [, real, effective] = /^Uid:\t(\d+)\t(\d+)\t/m.exec(text) ?? []
  if (Number(real) !== owner.uid && Number(effective) !== owner.uid) return undefined
  return /^Name:\t(.+)$/m.exec(text)?.[1]
}
