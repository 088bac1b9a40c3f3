/** Reading sysfs, procfs and the like: small files that may not be there, or not ours to read. */

import fs from 'node:fs'
import path from 'node:path'
import type { DeviceNode } from './host-facts.js'

const PERMISSION_BITS = 0o7777

/** errno by name of what node:fs threw. @throws the error when it is a bug of ours */
function codeOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === undefined) throw error
  return code
}

/** `root`: where `/` is; paths are absolute. */
export class HostFiles {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  /** Undefined: it cannot be read. */
  bytes(file: string): Buffer | undefined {
    try {
      return fs.readFileSync(this.#at(file))
    } catch (error) {
      codeOf(error)
      return undefined
    }
  }

  /** Without blanks and line ends around it. Undefined: it cannot be read. */
  text(file: string): string | undefined {
    return this.bytes(file)?.toString('latin1').trim()
  }

  /** Sorted; none when there is no such folder. */
  names(folder: string): readonly string[] {
    try {
      return fs.readdirSync(this.#at(folder)).sort()
    } catch (error) {
      codeOf(error)
      return []
    }
  }

  exists(file: string): boolean {
    return fs.existsSync(this.#at(file))
  }

  /** The last name of what a link points to; undefined when there is no such link. */
  linked(link: string): string | undefined {
    try {
      return path.basename(fs.readlinkSync(this.#at(link)))
    } catch (error) {
      codeOf(error)
      return undefined
    }
  }

  node(file: string): DeviceNode {
    return { path: file, problem: this.#openProblem(file), owner: this.#ownerOf(file) }
  }

  /** Permissions, groups and a device cgroup say no in their own ways: only opening tells. */
  #openProblem(file: string): string | undefined {
    const { O_RDWR, O_NONBLOCK } = fs.constants
    try {
      fs.closeSync(fs.openSync(this.#at(file), O_RDWR | O_NONBLOCK))
      return undefined
    } catch (error) {
      return codeOf(error)
    }
  }

  #ownerOf(file: string): DeviceNode['owner'] {
    const found = fs.statSync(this.#at(file), { throwIfNoEntry: false })
    return found && { uid: found.uid, gid: found.gid, mode: found.mode & PERMISSION_BITS }
  }

  #at(file: string): string {
    return path.join(this.#root, file)
  }
}
