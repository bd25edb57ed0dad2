import Foundation
import KaratBytes

extension SimulatedFileSystem.State {
  static func names(of path: String) -> [String] {
    path.split(separator: "/").filter { $0 != "." }.map(String.init)
  }

  var freeBytes: Int {
    capacity == .max ? .max : max(capacity - byteCount, 0)
  }

  var byteCount: Int { disk.tree().values.reduce(0) { $0 + $1.count } }

  /// The most bytes that the call which began last moves.
  var largestTransfer: Int {
    if case .short(let byteCount)? = faults?.fault(at: calls.count - 1, calls.last) {
      return byteCount
    }
    return .max
  }

  /// Counts a call, and says how it is to fail.
  mutating func beginCall(_ call: Call) -> Fault? {
    calls.append(call)
    return faults?.fault(at: calls.count - 1, call)
  }

  mutating func apply(_ operation: DiskOperation) {
    log.append(operation)
    disk.apply(operation)
  }

  mutating func make(_ name: String, in folder: Int, isFolder: Bool) -> Int {
    let node = disk.files.count
    apply(.create(isFolder: isFolder))
    apply(.rename([EntryChange(folder: folder, name: name, node: node)]))
    return node
  }

  mutating func remove(_ path: String) throws(Errno) {
    let (folder, name) = try place(of: path)
    apply(.rename([EntryChange(folder: folder, name: name, node: nil)]))
  }

  mutating func newDescriptor(of file: Int) -> Int32 {
    var descriptor: Int32 = 3
    while descriptors[descriptor] != nil { descriptor += 1 }
    descriptors[descriptor] = file
    return descriptor
  }

  func status(of node: Int) -> FileStatus {
    FileStatus(
      kind: disk.files[node] == nil ? .folder : .file,
      byteCount: disk.files[node]?.count ?? 0,
      identity: FileStatus.Identity(device: 0, number: node)
    )
  }

  /// What a path names.
  func node(at path: String) throws(Errno) -> Int {
    try node(at: Self.names(of: path)[...])
  }

  /// The folder of a path, and the name in it, which need not name anything.
  func place(of path: String) throws(Errno) -> (folder: Int, name: String) {
    let names = Self.names(of: path)
    guard let name = names.last else { throw Errno(EBUSY) }
    let folder = try node(at: names.dropLast())
    guard disk.folders[folder] != nil else { throw Errno(ENOTDIR) }
    return (folder, name)
  }

  /// Refuses what `rename` cannot replace.
  func checkReplacing(_ there: Int, by node: Int) throws(Errno) {
    switch (disk.folders[there], disk.folders[node]) {
    case (nil, nil): break
    case (nil, _?): throw Errno(ENOTDIR)
    case (_?, nil): throw Errno(EISDIR)
    case (let entries?, _?): guard entries.isEmpty else { throw Errno(ENOTEMPTY) }
    }
  }

  private func node(at names: ArraySlice<String>) throws(Errno) -> Int {
    var node = SimulatedDisk.root
    for name in names {
      guard let entries = disk.folders[node] else { throw Errno(ENOTDIR) }
      guard let next = entries[name] else { throw Errno(ENOENT) }
      node = next
    }
    return node
  }
}
