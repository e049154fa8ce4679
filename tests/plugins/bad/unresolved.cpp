namespace caffe {
void FunctionOfAnotherBuild(int device);
}

void CallsIt() { caffe::FunctionOfAnotherBuild(0); }
