// Original file: proto/pasid/v1/emulator_lab.proto


export interface RaisePageRequestResponse {
  'state'?: (string);
}

export interface RaisePageRequestResponse__Output {
  'state': (string);
}
