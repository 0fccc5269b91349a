// What somebody dropped, as files: folders are gone through, to any depth.

// {files, failures, nPassed}: failures are {image, reason}; nPassed: files in folders that are hidden, or no pictures
// as isPicture(file) says. To be called while the event is handled: later it holds nothing.
export async function dropped(transfer, isPicture) {
  const found = { files: [], failures: [], nPassed: 0 };
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  for (const entry of items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile())) {
    if (entry instanceof File) found.files.push(entry);
    else if (entry) await gather(entry, found, () => true, isPicture);
  }
  return found;
}

async function gather(entry, found, isWanted, isPicture) {
  try {
    if (entry.isDirectory) {
      const isGood = (file) => !file.name.startsWith(".") && isPicture(file);
      for (const inner of await listing(entry)) await gather(inner, found, isGood, isPicture);
      return;
    }
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    if (isWanted(file)) found.files.push(file);
    else found.nPassed++;
  } catch {
    found.failures.push({ image: entry.name, reason: "cannot be read" });
  }
}

// All entries of a folder: a browser gives them in parts.
async function listing(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return entries;
    entries.push(...part);
  }
}
