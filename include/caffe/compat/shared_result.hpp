#ifndef CAFFE_COMPAT_SHARED_RESULT_HPP_
#define CAFFE_COMPAT_SHARED_RESULT_HPP_

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

// Caffe's headers had it, and programs name boost::shared_ptr without including it.
#if __has_include(<boost/shared_ptr.hpp>)
#include <boost/shared_ptr.hpp>
#endif

namespace caffe {

/// A std::shared_ptr, as functions return it, that becomes a boost::shared_ptr where the
/// caller wants one: that shares the object, and keeps it alive.
template <typename T>
class SharedResult : public std::shared_ptr<T> {
 public:
  explicit SharedResult(std::shared_ptr<T> pointer)
      : std::shared_ptr<T>(std::move(pointer)) {}
  SharedResult(std::nullptr_t) {}  // NOLINT(runtime/explicit)

  template <template <typename> class Other,
            typename = typename std::enable_if<
                std::is_constructible<Other<T>, T*, void (*)(T*)>::value>::type>
  operator Other<T>() const {
    const std::shared_ptr<T> kept = *this;
    return Other<T>(this->get(), [kept](T*) {});
  }
};

}  // namespace caffe

#endif  // CAFFE_COMPAT_SHARED_RESULT_HPP_
