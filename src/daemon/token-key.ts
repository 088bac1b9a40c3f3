/**
 * The key that session tokens are made with: 32 random bytes in the state directory, made once.
 * Holds: the file is there whole or not at all, and only the daemon's user can read it.
 */

import crypto from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { errnoOf, EXIT, pathFailure, StartFailure } from './exits.js'

const KEY_BYTES = 32
const KEY_MODE = 0o600
const KEY_FILE = 'token.key'
/** Bits that others have no business with. */
const OTHERS = 0o077

function readKey(file: string): Buffer | undefined {
  let fd: number
  try {
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw pathFailure(`the token key ${file}`, error, 'make it readable for the daemon alone')
  }
  try {
    const { mode } = fs.fstatSync(fd)
    if ((mode & OTHERS) !== 0) {
      const bits = (mode & 0o777).toString(8)
      const text = `the token key ${file} has mode ${bits}: others may have read it`
      throw new StartFailure(`${text}; remove it to make a new one`, EXIT.NO_PERMISSION)
    }
    const key = fs.readFileSync(fd)
    if (key.length === KEY_BYTES) return key
    const text = `the token key ${file} has ${key.length} bytes, must have ${KEY_BYTES}`
    throw new StartFailure(`${text}; remove it to make a new one`, EXIT.LEDGER_DATA)
  } finally {
    fs.closeSync(fd)
  }
}

function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, fs.constants.O_RDONLY)
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/**
 * Reads the key, or makes it. Called with the ledger's lock held: nobody else makes it meanwhile.
 */
export function openTokenKey(stateDir: string): Buffer {
  const file = path.join(stateDir, KEY_FILE)
  const known = readKey(file)
  if (known !== undefined) return known
  const key = crypto.randomBytes(KEY_BYTES)
  const temporary = `${file}.new`
  try {
    fs.rmSync(temporary, { force: true })
    const fd = fs.openSync(temporary, 'wx', KEY_MODE)
    try {
      fs.writeSync(fd, key)
      fs.fsyncSync(fd)
    } finally {
      fs.closeSync(fd)
    }
    fs.renameSync(temporary, file)
    syncDirectory(stateDir)
  } catch (error) {
    throw pathFailure(`the token key ${file}`, error, 'see that the state directory is writable')
  }
  return key
}
