/// A kind of call to a file system.
package enum Call: Sendable, Hashable, CaseIterable {
  case open, close, duplicate, read, write, truncate, flush, lock, status, makeFolder, rename, link
  case removeFile, removeFolder, names, freeBytes

  /// Whether the call needs room on the disk.
  package var takesRoom: Bool { [.open, .write, .truncate, .makeFolder, .link].contains(self) }
}

/// What a file system may lack.
package enum Ability: Sendable, Hashable, CaseIterable {
  case exchange, exclusiveRename, links, locks
  /// Saying how many bytes are free.
  case measuringRoom
}

/// How a call fails.
package enum Fault: Sendable, Hashable {
  /// It does nothing and gives an error number. A flush or close loses what was not flushed.
  case refusal(Int32)
  /// It does what it should, and gives an error number all the same.
  case refusalAfterEffect(Int32)
  /// It moves no more than so many bytes.
  case short(Int)
}

/// Which calls fail.
package struct FaultPlan: Sendable, Hashable {
  /// The first call that fails, from 0.
  package let index: Int
  package let fault: Fault
  /// The kinds of call that fail from then on; empty where it is that call alone.
  package let lasting: Set<Call>

  /// Fails one call.
  package init(at index: Int, _ fault: Fault) {
    self.init(from: index, fault, lasting: [])
  }

  /// Fails all calls of some kinds from one on.
  package init(from index: Int, _ fault: Fault, lasting: Set<Call>) {
    self.index = index
    self.fault = fault
    self.lasting = lasting
  }

  func fault(at index: Int, _ call: Call?) -> Fault? {
    if lasting.isEmpty { return index == self.index ? fault : nil }
    guard let call, index >= self.index, lasting.contains(call) else { return nil }
    return fault
  }
}
