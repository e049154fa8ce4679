#ifndef CAFFE_PLUGIN_HPP_
#define CAFFE_PLUGIN_HPP_

#include <string>
#include <vector>

namespace caffe {

/// Loads a shared object whose static initialisers register layers or solvers
/// (REGISTER_LAYER_CLASS, REGISTER_SOLVER_CLASS), and returns the names of what it
/// registered, sorted. Loading the same file again returns the same names.
///
/// Throws FileError when the file is missing, is no shared object or was linked with
/// another version of this library: then none of its code has run. Throws ValueError
/// when it registers a name that is taken, or nothing; then none of its names stay.
std::vector<std::string> LoadPlugin(const std::string& path);

/// Loads the plugins that the environment variable CAFFE_PLUGINS lists, separated by
/// colons. Called by the command line and by `import caffe`; does so once.
void LoadPluginsFromEnvironment();

}  // namespace caffe

#endif  // CAFFE_PLUGIN_HPP_
