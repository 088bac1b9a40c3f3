/** Users and groups by name, from /etc/passwd and /etc/group alone, or by number. */

import fs from 'node:fs'
import { EXIT, StartFailure } from './exits.js'

const ID_LAST = 2 ** 32 - 2

function idOf(file: string, kind: string, name: string): number {
  if (/^\d{1,10}$/.test(name) && Number(name) <= ID_LAST) return Number(name)
  for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
    const [found, , id] = line.split(':')
    if (found === name && id !== undefined) return Number(id)
  }
  const text = `there is no ${kind} "${name}" in ${file}; create it, or give its number`
  throw new StartFailure(text, EXIT.CONFIG)
}

/** @throws StartFailure when there is no such user */
export function userId(name: string): number {
  return idOf('/etc/passwd', 'user', name)
}

/** @throws StartFailure when there is no such group */
export function groupId(name: string): number {
  return idOf('/etc/group', 'group', name)
}
