/**
 * Ends the process with a sentence when Node is too old. Imported first by every entry script, so
 * that nothing newer is evaluated before it; it uses no syntax and no import that an old Node
 * lacks.
 */
const parts = process.versions.node.split('.').map(Number)
if (parts[0] < 20 || (parts[0] === 20 && parts[1] < 19)) {
  process.stderr.write(
    'pasidd needs Node 20.19 or newer; this is Node ' +
      process.versions.node +
      '.\nInstall a newer one and run the same command again; nothing has been changed.\n',
  )
  process.exit(1)
}
