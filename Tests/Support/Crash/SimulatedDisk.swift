/// What a disk holds: files and folders by number, and names only within folders.
///
/// A number stays that of one file for ever, so that a log of operations can be replayed in part.
package struct SimulatedDisk: Sendable {
  /// The bytes of each file; nil where the number is that of a folder.
  package private(set) var files: [[UInt8]?] = [nil]
  /// The numbers behind the names of each folder; nil where the number is that of a file.
  package private(set) var folders: [[String: Int]?] = [[:]]

  /// The number of the folder that all paths start from.
  package static let root = 0

  /// A disk with an empty folder.
  package init() {}

  /// Makes one operation last.
  package mutating func apply(_ operation: DiskOperation) {
    switch operation {
    case .create(let isFolder):
      files.append(isFolder ? nil : [])
      folders.append(isFolder ? [:] : nil)
    case .write(let file, let offset, let bytes):
      grow(file, to: offset + bytes.count)
      files[file]?.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    case .truncate(let file, let byteCount):
      grow(file, to: byteCount)
      let excess = (files[file]?.count ?? 0) - byteCount
      if excess > 0 { files[file]?.removeLast(excess) }
    case .rename(let changes):
      for change in changes { folders[change.folder]?[change.name] = change.node }
    case .flush: break
    }
  }

  /// Makes a file longer by zeros where it is shorter.
  package mutating func grow(_ file: Int, to byteCount: Int) {
    let missing = byteCount - (files[file]?.count ?? byteCount)
    if missing > 0 { files[file]?.append(contentsOf: repeatElement(0, count: missing)) }
  }

  /// All that a folder holds: the bytes by path, and an empty entry by `path/` for each folder.
  package func tree(at node: Int = root) -> [String: [UInt8]] {
    var tree: [String: [UInt8]] = [:]
    add(node, as: "", to: &tree)
    return tree
  }

  private func add(_ node: Int, as path: String, to tree: inout [String: [UInt8]]) {
    for (name, child) in folders[node] ?? [:] {
      let childPath = path + name
      if let bytes = files[child] {
        tree[childPath] = bytes
      } else {
        tree[childPath + "/"] = []
        add(child, as: childPath + "/", to: &tree)
      }
    }
  }
}

/// One change of a disk, or what makes changes last.
package enum DiskOperation: Sendable {
  /// The next number becomes a file or folder, without a name so far.
  case create(isFolder: Bool)
  case write(Int, offset: Int, [UInt8])
  case truncate(Int, to: Int)
  /// Names come, go or change what they name, all at once.
  case rename([EntryChange])
  /// What was done to a file or folder before lasts, or where the flush was refused, may be lost
  /// whatever flushes come behind.
  case flush(Int, succeeded: Bool)
}

/// What a name in a folder becomes.
package struct EntryChange: Sendable, Hashable {
  let folder: Int
  let name: String
  /// What it names then; nil where it goes.
  let node: Int?
}
