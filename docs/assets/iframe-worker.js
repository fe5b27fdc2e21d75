// Search without a server: a browser starts no worker for a page that was opened as a file, so the theme's runs in a frame.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      frame.srcdoc = ""
      this.loaded = new Promise(done => {
        frame.onload = () => {
          const inside = frame.contentWindow
          inside.postMessage = data => this.dispatchEvent(message(data))
          const script = inside.document.createElement("script")
          script.src = url
          script.onload = () => done(inside)
          inside.document.body.append(script)
        }
      })
      document.body.append(frame)
    }

    postMessage(data) {
      this.loaded.then(inside => inside.dispatchEvent(message(data)))
    }
  }

function message(data) {
  return new MessageEvent("message", {data: structuredClone(data)})
}
