/** What Linux says of this process, and of the host where that decides whom we may trust. */
import fs from 'node:fs'

/** CAP_SYS_PTRACE, include/uapi/linux/capability.h. */
const CAP_SYS_PTRACE = 19n

/** The inode of our pid namespace: /proc/self/ns/pid reads `pid:[inode]` (namespaces(7)). */
export function pidNamespace(): string {
  const link = fs.readlinkSync('/proc/self/ns/pid')
  const inode = /^pid:\[(\d+)\]$/.exec(link)?.[1]
  if (inode === undefined) throw new Error(`/proc/self/ns/pid reads ${link}, not pid:[inode]`)
  return inode
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
