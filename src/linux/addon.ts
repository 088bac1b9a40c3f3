/**
 * The native addon: its functions as they are, untyped errors and all (a number below zero is minus
 * errno). Only this room imports it. It is compiled by the set-up (`native/`), not by npm.
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/** A value, or minus errno. */
type Code = number

/** native/addon.cc has the same table; each function is described where it is defined. */
interface Native {
  callStart(name: string, onEnd: (...end: RawEnd) => void): Code
  callIoctl(
    thread: number,
    fd: number,
    request: number,
    bytes: Uint8Array,
    pointerAt: number,
    data: Uint8Array,
  ): Code
  callRead(thread: number, fd: number, bytes: number): Code
  callWrite(thread: number, fd: number, bytes: Uint8Array): Code
  callClose(thread: number, fd: number): Code
  callReplace(thread: number, fd: number, by: number): Code
  callEnd(thread: number): boolean
  callAbandon(thread: number): readonly number[]
  close(fd: number): Code
  fileFacts(fd: number): FileFacts | Code
  deviceFacts(fd: number): DeviceFacts | Code
  closeOnExec(fd: number): Code
  memfdCreate(name: string): Code
  memoryFacts(fd: number): MemoryFacts | Code
  mapMemory(fd: number, offset: number, bytes: number, writable: boolean): Code
  unmapMemory(id: number): boolean
  loadWord(id: number, offset: number): bigint | undefined
  exchangeWord(id: number, offset: number, expected: bigint, next: bigint): boolean
  readWord(fd: number, offset: number): bigint | undefined
  writeWord(fd: number, offset: number, word: bigint): boolean
  receiveMessage(
    fd: number,
    textBytesMax: number,
    fdsMax: number,
    stays?: boolean,
  ): RawMessage | Code
  sendMessage(fd: number, bytes: Buffer, fds: readonly number[]): Code
  peerCredentials(fd: number): { readonly pid: number; uid: number; gid: number } | Code
  peerGroups(fd: number): readonly number[] | Code
  peerLabel(fd: number): string | Code
  peerPidfd(fd: number): Code
  pidfdOpen(pid: number): Code
  pidfdEnded(fd: number): Code
  pidfdInfo(fd: number): { readonly pid?: number; readonly exitStatus?: number } | Code
  nameToHandle(fd: number): FileHandle | Code
  openByHandle(mountFd: number, type: number, bytes: Buffer): Code
  seqpacketListen(path: string, backlog: number): Code
  seqpacketConnect(path: string): Code
  seqpacketPair(): readonly [number, number] | Code
  accept(fd: number): Code
  sendDatagram(name: string, text: string, fds: readonly number[]): Code
  watch(fd: number, onReadable: (status: Code) => void, holdsLoop: boolean): Code
  unwatch(id: number): boolean
}

/** Of a call on a thread: which, its value or minus errno, and its memory. 0 alone: the last. */
export type RawEnd = [call: 0] | [call: number, code: Code, bytes: Uint8Array, data: Uint8Array]

/** Of struct stat and struct statfs. */
export interface FileFacts {
  readonly inode: bigint
  readonly mode: number
  readonly filesystem: number
}

/** Of struct statx and fcntl(2). */
export interface DeviceFacts {
  readonly mode: number
  /** Of open(2). */
  readonly flags: number
  /** Of the device that a device's node stands for; 0 of another file. */
  readonly major: number
  readonly minor: number
}

/** Of struct statx, fcntl(2) and struct statfs; nothing that a file's server would be asked for. */
export interface MemoryFacts {
  readonly mode: number
  /** Of open(2). */
  readonly flags: number
  /** F_SEAL_*; -1: the file cannot be sealed, and the rest is not known. */
  readonly seals: number
  readonly filesystem: number
  readonly bytes: bigint
}

/** struct file_handle. */
export interface FileHandle {
  readonly type: number
  readonly bytes: Buffer
}

/** What one recvmsg(2) brought. Every fd in it is ours to close. */
export interface RawMessage {
  readonly bytes: Buffer
  readonly fds: readonly number[]
  readonly textCut: boolean
  readonly fdsCut: boolean
}

/** The same from src/ and from dist/: both are two folders below the package. */
const FILE = fileURLToPath(new URL('../../native/build/Release/pasidd.node', import.meta.url))

function load(): Native {
  try {
    return createRequire(import.meta.url)(FILE) as Native
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const remedy = 'run `npm run setup` in the package, which compiles it for this Node'
    throw new Error(`the native addon does not load: ${reason}; ${remedy}`, { cause: error })
  }
}

export const native: Native = load()
