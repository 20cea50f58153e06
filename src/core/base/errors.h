// What the core throws. The class of an exception says whose fault it is; the text says what to do about it.
// (Rcpp turns the class name into the class of the R condition, which R/handles.R maps to rscvi_error subclasses.)
#pragma once

#include <stdexcept>
#include <string>

namespace rscvi {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The caller passed something that cannot work.
class InvalidArgument : public Error {
 public:
  using Error::Error;
};

// The device that was asked for is not there, or ran out of memory.
class DeviceError : public Error {
 public:
  using Error::Error;
};

// Training left the numbers that can be computed with.
class Diverged : public Error {
 public:
  using Error::Error;
};

// A file is not what it should be: it cannot be read, was cut short or changed, or is of a kind that is unknown here.
class BadFile : public Error {
 public:
  using Error::Error;
};

// A file cannot be written: no permission, no such folder, a full disk.
class WriteError : public Error {
 public:
  using Error::Error;
};

// LibTorch refused an operation: a mistake of this package, not of its user.
class InternalError : public Error {
 public:
  using Error::Error;
};

}  // namespace rscvi
