// Original file: proto/pasid/v1/emulator_lab.proto


export interface SubmitDescriptorsRequest {
  'descriptors'?: (Buffer | Uint8Array | string);
  'wide'?: (boolean);
  'clearError'?: (boolean);
}

export interface SubmitDescriptorsRequest__Output {
  'descriptors': (Buffer);
  'wide': (boolean);
  'clearError': (boolean);
}
