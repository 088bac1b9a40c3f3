// Original file: proto/pasid/v1/operator.proto


export interface OperatorGetSessionRequest {
  'name'?: (string);
}

export interface OperatorGetSessionRequest__Output {
  'name': (string);
}
