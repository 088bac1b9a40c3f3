// Original file: proto/pasid/v1/operator.proto


export interface GetReclaimRequest {
}

export interface GetReclaimRequest__Output {
}
