import Foundation

/// What the process holds in memory.
package enum ProcessMemory {
  /// The most bytes that it held at a time so far.
  package static var peakBytes: Int {
    var usage = rusage()
    #if canImport(Darwin)
    getrusage(RUSAGE_SELF, &usage)
    return usage.ru_maxrss
    #else
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024  // it counts in KiB here
    #endif
  }
}
