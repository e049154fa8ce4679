#ifndef STAND_IN_BOOST_SHARED_PTR_HPP_
#define STAND_IN_BOOST_SHARED_PTR_HPP_

// Boost's pointers by its names, as aliases of the standard's.

#include <memory>

namespace boost {
using std::shared_ptr;
using std::weak_ptr;
}  // namespace boost

#endif  // STAND_IN_BOOST_SHARED_PTR_HPP_
