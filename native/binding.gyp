{
  # `--asan=1` builds for the address sanitizer (test/native/asan.mjs).
  'variables': { 'asan%': 0 },
  'targets': [
    {
      'target_name': 'pasidd',
      'sources': [
        'addon.cc',
        'call-thread.cc',
        'call.cc',
        'fd.cc',
        'memory.cc',
        'message.cc',
        'peer.cc',
        'pidfd.cc',
        'pidfs.cc',
        'socket.cc',
        'watch.cc',
      ],
      'defines': ['NAPI_VERSION=9', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED'],
      'cflags_cc': [
        '-std=gnu++20', # the last one counts; Node's comes before
        '-Wall',
        '-Wextra',
        '-Werror',
        '-Wshadow',
        '-fvisibility=hidden',
        # As a system folder: warnings in its headers are not ours to mend.
        '-isystem <(module_root_dir)/../node_modules/node-addon-api',
      ],
      # Never unloaded, as it else is at the end of a worker that alone had it: a thread for calls may
      # come back from its call after that.
      'ldflags': ['-Wl,-z,nodelete'],
      'conditions': [
        ['asan==1', {
          'cflags_cc': ['-fsanitize=address', '-fno-omit-frame-pointer', '-g', '-O1'],
          'ldflags': ['-fsanitize=address'],
        }],
      ],
    },
  ],
}
