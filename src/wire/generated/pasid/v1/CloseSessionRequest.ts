// Original file: proto/pasid/v1/pasid_broker.proto


export interface CloseSessionRequest {
  'name'?: (string);
}

export interface CloseSessionRequest__Output {
  'name': (string);
}
