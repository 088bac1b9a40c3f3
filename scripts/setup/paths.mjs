/** Where things are in this checkout, and the hashes that tell whether they are up to date. */
import crypto from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
export const INSTALL_STAMP = path.join(ROOT, 'node_modules', '.pasidd-installed')
export const BUILD_STAMP = path.join(ROOT, 'dist', '.built')
export const ADDON_STAMP = path.join(ROOT, 'native', 'build', '.built')
export const TOOLS_STAMP = path.join(ROOT, 'build', '.built')

/** The file at `relative`, from the root of the checkout. */
export function at(...relative) {
  return path.join(ROOT, ...relative)
}

/** The text of a file, or '' when there is none. */
export function readOr(file) {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return ''
    throw error
  }
}

/** Every file below the folder whose name ends with one of `endings`; relative paths, sorted. */
export function filesBelow(folder, endings) {
  const found = []
  const walk = (relative) => {
    let entries
    try {
      entries = fs.readdirSync(at(relative), { withFileTypes: true })
    } catch (error) {
      if (error.code === 'ENOENT') return
      throw error
    }
    for (const entry of entries) {
      const name = `${relative}/${entry.name}`
      if (entry.isDirectory()) walk(name)
      else if (endings.some((ending) => entry.name.endsWith(ending))) found.push(name)
    }
  }
  walk(folder)
  return found.sort()
}

/** One hash over names and contents of the files, and over the extra strings. */
export function hashOf(files, ...extra) {
  const hash = crypto.createHash('sha256')
  for (const text of extra) hash.update(`${text}\0`)
  for (const file of files) hash.update(`${file}\0${readOr(at(file))}\0`)
  return hash.digest('hex')
}

/** What node_modules depends on: the lock file, and what native code is compiled for. */
export function installHash() {
  return hashOf(['package-lock.json'], process.versions.modules, process.arch, process.platform)
}

/** What dist/ depends on. The compiler is part of the lock file. */
export function buildHash() {
  const sources = [...filesBelow('src', ['.ts']), ...filesBelow('proto', ['.proto'])]
  return hashOf([...sources, 'tsconfig.json', 'package-lock.json'])
}

/** What the addon depends on: its sources, and this Node. Its headers are part of the lock file. */
export function addonHash() {
  const { versions, arch, platform } = process
  const sources = filesBelow('native', ['.cc', '.h', '.gyp']).filter(
    (file) => !file.startsWith('native/build/'),
  )
  const headers = JSON.parse(readOr(at('package-lock.json'))).packages[
    'node_modules/node-addon-api'
  ]
  return hashOf(sources, versions.modules, arch, platform, JSON.stringify(headers))
}
