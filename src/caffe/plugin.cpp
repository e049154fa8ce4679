#include "caffe/plugin.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/device.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe/util/registration_log.hpp"
#include "caffe/util/shared_object.hpp"

namespace caffe {
namespace {

struct Plugin {
  string path;
  vector<string> types;
  string error;  ///< why it was refused; it stays mapped, with nothing registered
};

struct Plugins {
  std::mutex mutex;
  std::map<void*, Plugin> by_handle;
};

Plugins& GetPlugins() {
  // Never destroyed: a plugin's objects may be used until the very end.
  static Plugins* plugins = new Plugins();
  return *plugins;
}

string Joined(const std::set<string>& names) {
  string text;
  for (const string& name : names) text += Str(text.empty() ? "'" : ", '", name, "'");
  return text;
}

/// The name under which the loader knows this library: libcaffe.so.0.1. Read from
/// memory: the path it was loaded by may be relative to a folder left since.
string OwnSoname() {
  Dl_info info;
  link_map* self = nullptr;
  if (!dladdr1(reinterpret_cast<void*>(&LoadPlugin), &info,
               reinterpret_cast<void**>(&self), RTLD_DL_LINKMAP)) {
    return "";
  }
  const char* strings = nullptr;
  const ElfW(Dyn)* soname = nullptr;
  for (const ElfW(Dyn)* entry = self->l_ld; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_STRTAB) {
      strings = reinterpret_cast<const char*>(entry->d_un.d_ptr);
    }
    if (entry->d_tag == DT_SONAME) soname = entry;
  }
  return strings && soname ? strings + soname->d_un.d_val : "";
}

/// A second libcaffe in one process would fight over the message classes and end it,
/// so the version is compared before anything of the plugin is mapped.
void CheckVersion(const string& path) {
  const string own = OwnSoname();
  SharedObject object;
  try {
    object = ReadSharedObject(path);
  } catch (Error& error) {
    error.Prefix("plugin");
    throw;
  }
  for (const string& library : object.needed) {
    if (library.rfind("libcaffe.so", 0) == 0 && library != own) {
      throw FileError(Str("plugin '", path, "' was built against ", library,
                          ", expected ", own, " (caffe " AS_STRING(CAFFE_VERSION),
                          "); build it again with 'caffe build-plugin'"));
    }
  }
}

/// The loader's complaint as a sentence with a cure.
string LoadFailure(const string& path, const string& complaint) {
  static const string kMark = "undefined symbol: ";
  const std::size_t at = complaint.find(kMark);
  if (at == string::npos) {
    return Str("plugin '", path, "' cannot be loaded: ", complaint,
               "; the folders of other libraries it needs go into LD_LIBRARY_PATH");
  }
  // "undefined symbol: name, version VERS_1 (file)": a mangled name has neither.
  string symbol = complaint.substr(at + kMark.size());
  symbol.resize(std::min(symbol.find_first_of(", ("), symbol.size()));
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> plain(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), std::free);
  return Str("plugin '", path, "' needs '", status == 0 ? plain.get() : symbol.c_str(),
             "', which neither it nor the libraries it was linked with define (this is "
             "caffe " AS_STRING(CAFFE_VERSION),
             device::Supported() ? " with" : " without",
             " GPU support); 'caffe build-plugin' links it with this one");
}

/// What the registries held at one time.
class RegistrySnapshot {
 public:
  void Restore() const {
    LayerRegistry<float>::Registry() = layers_f_;
    LayerRegistry<double>::Registry() = layers_d_;
    SolverRegistry<float>::Registry() = solvers_f_;
    SolverRegistry<double>::Registry() = solvers_d_;
  }

 private:
  LayerRegistry<float>::CreatorRegistry layers_f_ = LayerRegistry<float>::Registry();
  LayerRegistry<double>::CreatorRegistry layers_d_ = LayerRegistry<double>::Registry();
  SolverRegistry<float>::CreatorRegistry solvers_f_ = SolverRegistry<float>::Registry();
  SolverRegistry<double>::CreatorRegistry solvers_d_ = SolverRegistry<double>::Registry();
};

/// Why the registrations of a freshly loaded plugin are not acceptable, if they are not.
string Complaint(const std::set<string>& added, const std::set<string>& refused,
                 const Plugins& plugins) {
  if (!refused.empty()) {
    string owner = "this library";
    for (const auto& entry : plugins.by_handle) {
      for (const string& type : entry.second.types) {
        if (refused.count(type)) owner = Str("plugin '", entry.second.path, "'");
      }
    }
    return Str("registers ", Joined(refused), ", which ", owner,
               " has already; give it another name");
  }
  if (added.empty()) {
    return "registers no layer and no solver; expected REGISTER_LAYER_CLASS(Name) at "
           "namespace scope in one of its sources";
  }
  return "";
}

}  // namespace

std::vector<std::string> LoadPlugin(const std::string& path) {
  Plugins& plugins = GetPlugins();
  std::lock_guard<std::mutex> lock(plugins.mutex);
  CheckVersion(path);
  // With a slash in it dlopen() takes the path as it is and searches nowhere else.
  const string absolute = std::filesystem::absolute(path).string();
  const RegistrySnapshot before;
  TakeRegistrations();
  void* handle = dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* complaint = dlerror();
    throw FileError(LoadFailure(path, complaint ? complaint : "no reason given"));
  }
  const Registrations registrations = TakeRegistrations();
  const auto known = plugins.by_handle.find(handle);
  if (known != plugins.by_handle.end()) {
    dlclose(handle);
    if (!known->second.error.empty()) throw ValueError(known->second.error);
    return known->second.types;
  }
  const std::set<string> added(registrations.added.begin(), registrations.added.end());
  const std::set<string> refused(registrations.refused.begin(),
                                 registrations.refused.end());
  Plugin plugin{path, {added.begin(), added.end()}, ""};
  const string complaint = Complaint(added, refused, plugins);
  if (!complaint.empty()) {
    before.Restore();
    // Not closed: its code may already be referred to from elsewhere, and the loader
    // keeps most C++ objects anyway.
    plugin = {path, {}, Str("plugin '", path, "' ", complaint)};
    plugins.by_handle[handle] = plugin;
    throw ValueError(plugin.error);
  }
  plugins.by_handle[handle] = plugin;
  LOG(INFO) << "Loaded plugin '" << path << "': " << Joined(added);
  return plugin.types;
}

void LoadPluginsFromEnvironment() {
  static std::mutex mutex;
  static bool done = false;
  std::lock_guard<std::mutex> lock(mutex);
  if (done) return;
  const char* list = std::getenv("CAFFE_PLUGINS");
  std::istringstream paths(list ? list : "");
  for (string path; std::getline(paths, path, ':');) {
    if (path.empty()) continue;
    try {
      LoadPlugin(path);
    } catch (Error& error) {
      error.Prefix("CAFFE_PLUGINS");
      throw;
    }
  }
  done = true;
}

}  // namespace caffe
