// Original file: proto/pasid/v1/emulator_lab.proto


export interface ResetDeviceResponse {
  'droppedPageRequests'?: (number);
}

export interface ResetDeviceResponse__Output {
  'droppedPageRequests': (number);
}
