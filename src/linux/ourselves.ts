/** What Linux says of this process, and of the host where that decides whom we may trust. */
import fs from 'node:fs'
import { thrownFailure } from './errno.js'

/** CAP_SYS_PTRACE, include/uapi/linux/capability.h. */
const CAP_SYS_PTRACE = 19n

/** PROC_PID_INIT_INO and PROC_USER_INIT_INO, include/uapi/linux/nsfs.h: of the host's own. */
export const HOST_NAMESPACES = { pid: '4026531836', user: '4026531837' } as const

/** The inode of our pid namespace; the host's where the kernel has no others (CONFIG_PID_NS). */
export function pidNamespace(): string {
  return namespaceOf('pid')
}

/** The inode of our user namespace, likewise (CONFIG_USER_NS). */
export function userNamespace(): string {
  return namespaceOf('user')
}

/** /proc/self/ns/pid reads `pid:[inode]` (namespaces(7)). */
function namespaceOf(kind: keyof typeof HOST_NAMESPACES): string {
  const link = namespaceLink(`/proc/self/ns/${kind}`)
  if (link === undefined) return HOST_NAMESPACES[kind]
  const inode = /^\w+:\[(\d+)\]$/.exec(link)?.[1]
  if (inode === undefined)
    throw new Error(`/proc/self/ns/${kind} reads ${link}, not ${kind}:[inode]`)
  return inode
}

/** Undefined: the kernel has no namespaces of this kind. */
function namespaceLink(path: string): string | undefined {
  try {
    return fs.readlinkSync(path)
  } catch (error) {
    if (thrownFailure('readlink', error).errno === 'ENOENT') return undefined
    throw error
  }
}

/** Whether CapEff holds CAP_SYS_PTRACE: without it, /proc/PID/exe of another user is EACCES. */
export function mayReadForeignExecutables(): boolean {
  const status = fs.readFileSync('/proc/self/status', 'utf8')
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1]
  return mask !== undefined && ((BigInt(`0x${mask}`) >> CAP_SYS_PTRACE) & 1n) === 1n
}

/** The numbers that stand for "has none in your user namespace" (user_namespaces(7)): 65534. */
export function overflowIds(): { readonly uid: number; readonly gid: number } {
  const read = (name: string) => Number(fs.readFileSync(`/proc/sys/kernel/${name}`, 'utf8'))
  return { uid: read('overflowuid'), gid: read('overflowgid') }
}
