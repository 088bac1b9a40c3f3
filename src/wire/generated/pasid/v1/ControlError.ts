// Original file: proto/pasid/v1/pasid_broker.proto


export interface ControlError {
  'code'?: (number);
  'message'?: (string);
  'reason'?: (string);
  'status'?: (Buffer | Uint8Array | string);
}

export interface ControlError__Output {
  'code': (number);
  'message': (string);
  'reason': (string);
  'status': (Buffer);
}
